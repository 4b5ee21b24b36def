"""Opens outputs with xarray and zarr-python as any user would, and compares their last time with a checkpoint.

Usage: open_output.py EXPECTED.json GROUP CHECKPOINT [GROUP CHECKPOINT ...]. Every warning is an error. With `follow` in
EXPECTED, the groups are looked at while they grow, until they have all times.
"""

import json
import os
import sys
import time
import warnings

warnings.simplefilter("error")

import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
import zarr  # noqa: E402


def check_times(data, expected):
    """Whole times only, evenly spaced from the start."""
    count = data.sizes["time"]
    steps = np.arange(count, dtype="int64") * expected["every"]
    assert data["step"].dtype == np.int64 and (data["step"].values == steps).all(), data["step"]
    assert data["time"].dtype == np.float64
    assert data["time"].values.tobytes() == (steps * expected["dt"]).tobytes(), data["time"]
    assert data["time"].attrs["units"] == "s" and data["time"].attrs["axis"] == "T"
    assert sorted(data.coords) == sorted(["time", "step", *expected["axes"]]), data
    assert sorted(data.data_vars) == sorted(expected["fields"]), data
    for name, array in data.data_vars.items():
        assert list(array.dims) == ["time", *expected["axes"]]
        assert array.dtype == expected["dtype"]
        assert np.isfinite(array.values).all(), name
    return count


def follow(path, expected):
    """Looks at a group until it has all times; returns how many numbers of times were seen."""
    seen = set()
    end = time.monotonic() + 60
    while len(seen) == 0 or max(seen) < expected["times"]:
        assert time.monotonic() < end, seen
        if os.path.exists(f"{path}/zarr.json"):
            count = check_times(xr.open_zarr(path), expected)
            assert all(count >= earlier for earlier in seen), (count, seen)
            seen.add(count)
            with open(f"{sys.argv[1]}.seen", "w", encoding="utf-8") as file:
                file.write(str(count))
        time.sleep(0.01)
    return len(seen)


def check_last(path, checkpoint, expected):
    data, state = xr.open_zarr(path), xr.open_zarr(checkpoint)
    assert check_times(data, expected) == expected["times"]
    assert data.attrs["Conventions"].startswith("CF-")
    assert data["time"].values[-1] == state.attrs["time"] and data["step"].values[-1] == state.attrs["step"]
    box = tuple(slice(None, None, stride) for stride in expected["stride"])
    for name in expected["fields"]:
        for key in ["units", "long_name"]:
            assert data[name].attrs[key]
            assert name not in state or data[name].attrs[key] == state[name].attrs[key]
        if name in state:
            last = np.ascontiguousarray(data[name].values[-1])
            wanted = np.ascontiguousarray(state[name].values[box].astype(expected["dtype"]))
            assert last.tobytes() == wanted.tobytes(), (last, wanted)
    for axis, stride in zip(expected["axes"], expected["stride"]):
        assert data[axis].values.tobytes() == np.ascontiguousarray(state[axis].values[::stride]).tobytes()
        assert data[axis].attrs == state[axis].attrs
    # Each array also opens alone, and dates are no trouble.
    alone = zarr.open_group(path, mode="r", use_consolidated=False)
    assert alone[expected["fields"][0]].shape == data[expected["fields"][0]].shape
    assert data.isel(time=-1).sel({axis: 0.0 for axis in expected["axes"]}, method="nearest").step == state.attrs["step"]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        expected = json.load(file)
    for path, checkpoint in zip(sys.argv[2::2], sys.argv[3::2]):
        looks = follow(path, expected) if expected["follow"] else 0
        # The last checkpoint comes after the last time.
        while expected["follow"] and not os.path.exists(f"{checkpoint}/MANIFEST"):
            time.sleep(0.01)
        assert looks != 1, "the group was never seen to grow"
        check_last(path, checkpoint, expected)
        print(f"{path}: as expected, {looks} different lengths seen")


if __name__ == "__main__":
    main()

"""Opens a checkpoint with zarr-python and xarray as any user would, and compares it with what it must hold.

Usage: open_checkpoint.py CHECKPOINT EXPECTED.json. Every warning is an error. Values are compared bit for bit.
"""

import json
import sys
import warnings

warnings.simplefilter("error")

import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
import zarr  # noqa: E402


def same_bits(found, values, dtype, shape):
    expected = np.array(values, dtype=dtype).reshape(shape)
    found = np.asarray(found)
    assert found.dtype == expected.dtype, (found.dtype, expected.dtype)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert found.tobytes() == expected.tobytes(), (found, expected)


def check_zarr(path, expected):
    group = zarr.open_group(path)
    names = sorted([*expected["fields"], *expected["coordinates"]])
    assert dict(group.attrs) == expected["attributes"], dict(group.attrs)
    assert sorted(group.array_keys()) == names, sorted(group.array_keys())
    assert sorted(name for name, _ in group.members()) == names
    for name, field in expected["fields"].items():
        array = group[name]
        same_bits(array[:], field["values"], field["dtype"], field["shape"])
        assert list(array.metadata.dimension_names) == field["dims"]
        alone = zarr.open_array(f"{path}/{name}", mode="r")
        same_bits(alone[:], field["values"], field["dtype"], field["shape"])
    for name, axis in expected["coordinates"].items():
        np.testing.assert_allclose(group[name][:], axis["values"], rtol=1e-14, atol=1e-14)
        assert list(group[name].metadata.dimension_names) == [name]


def check_xarray(path, expected):
    data = xr.open_zarr(path)
    assert dict(data.attrs) == expected["attributes"], dict(data.attrs)
    assert sorted(data.data_vars) == sorted(expected["fields"]), data
    assert sorted(data.coords) == sorted(expected["coordinates"]), data
    for name, field in expected["fields"].items():
        array = data[name]
        assert list(array.dims) == field["dims"], array.dims
        assert array.attrs["units"] == field["units"]
        assert array.attrs["long_name"] == field["long_name"]
        assert array.attrs.get("standard_name") == field["standard_name"]
        same_bits(array.values, field["values"], field["dtype"], field["shape"])
    for name, axis in expected["coordinates"].items():
        assert data[name].attrs["units"] == axis["units"]
        np.testing.assert_allclose(data[name].values, axis["values"], rtol=1e-14, atol=1e-14)


def main():
    path = sys.argv[1]
    with open(sys.argv[2], encoding="utf-8") as file:
        expected = json.load(file)
    check_zarr(path, expected)
    check_xarray(path, expected)
    shapes = {name: field["shape"] for name, field in expected["fields"].items()}
    print(f"zarr {zarr.__version__}, xarray {xr.__version__}, numpy {np.__version__}: {shapes} as expected")


if __name__ == "__main__":
    main()

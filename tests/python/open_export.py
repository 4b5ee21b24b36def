"""Compares exports of a plate with its checkpoint, bit for bit.

Usage: open_export.py CHECKPOINT TEMPERATURE.npy TEMPERATURE.vti DIFFUSIVITY.npy. Every warning is an error.
"""

import sys
import warnings
import xml.etree.ElementTree as ET

warnings.simplefilter("error")

import numpy as np  # noqa: E402
import zarr  # noqa: E402


def check_vti(path, state):
    with open(path, "rb") as file:
        content = file.read()
    # Raw bytes are no XML: the text ends where they begin.
    start = content.index(b"_", content.index(b"<AppendedData")) + 1
    length = int.from_bytes(content[start : start + 8], "little")
    end = start + 8 + length
    root = ET.fromstring(content[: start - 1] + content[end:])
    assert root.attrib["type"] == "ImageData" and root.attrib["byte_order"] == "LittleEndian"
    assert root.attrib["header_type"] == "UInt64"
    image = root.find("ImageData")
    rows, columns = state["temperature"].shape
    extent = f"0 {columns - 1} 0 {rows - 1} 0 0"
    assert image.attrib["WholeExtent"] == image.find("Piece").attrib["Extent"] == extent
    numbers = {key: [float(number) for number in image.attrib[key].split()] for key in ["Origin", "Spacing"]}
    assert numbers == {"Origin": [0.0, 0.0, 0.0], "Spacing": [0.25, 0.5, 1.0]}, numbers
    array = image.find("Piece/PointData/DataArray")
    assert array.attrib == {"type": "Float64", "Name": "temperature", "format": "appended", "offset": "0"}
    assert content[start + 8 : end] == state["temperature"][:].tobytes()
    assert float(image.find("FieldData/DataArray").text) == state.attrs["time"]


def main():
    state = zarr.open_group(sys.argv[1], mode="r")
    temperature = np.load(sys.argv[2])
    assert temperature.dtype == np.dtype("<f8") and temperature.flags.c_contiguous
    assert temperature.tobytes() == state["temperature"][:].tobytes()
    check_vti(sys.argv[3], state)
    diffusivity = np.load(sys.argv[4])
    expected = np.broadcast_to((0.5 + 0.01 * state["y"][:])[:, None], diffusivity.shape)
    np.testing.assert_allclose(diffusivity, expected, rtol=1e-14)
    print("exports as expected")


if __name__ == "__main__":
    main()

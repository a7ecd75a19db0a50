"""HDF5 files without HDF5's library: groups, attributes, shapes, in bounded time and memory.

    with open(path, "rb") as stream:
        root = open_hdf5(stream, os.path.getsize(path), path)
        root.attrs["keras_version"]
        root["model_weights/conv1/conv1/kernel:0"].shape

Objects have the methods of h5py's that readers of model files need. HDF5's own library ends the
process for some damaged files, which no caller can catch, and takes longer to load than a model's
structure takes to read. What is here is what h5py has written since 2012, whatever its `libver`;
other files are refused. NumPy is imported when an array is read. The format is described in
"HDF5 File Format Specification Version 3.0", whose names and numbers are used.
"""

from archspec.imports.hdf5.objects import Dataset, Group, open_hdf5

__all__ = ["Dataset", "Group", "open_hdf5"]

"""The generated messages and stubs of CSI, version 1: wire package `csi.v1`."""

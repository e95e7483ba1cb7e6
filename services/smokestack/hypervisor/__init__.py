"""The hypervisor: hosts, virtual machines, virtual disks, and the I/O that they originate."""

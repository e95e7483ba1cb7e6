"""The thin-provisioning array: ports, controllers, cache, media, thin pools and exports."""

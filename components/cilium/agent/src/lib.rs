//! The node agent: endpoints, IPAM, ipcache, services, health and metrics.

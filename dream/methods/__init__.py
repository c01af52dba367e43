"""Methods: the protocol, the registry, pairs and end-to-end policies."""

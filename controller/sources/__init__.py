"""Files on disk as values: specs, policy, catalog, secrets and mount sources; decides nothing about them."""

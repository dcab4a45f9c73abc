"""Pure geography: coordinates, the sphere, regions, the gazetteer."""

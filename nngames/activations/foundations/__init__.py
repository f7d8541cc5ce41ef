"""What an activation is made of: the base classes, domains, slope ranges with their charts, parameters."""

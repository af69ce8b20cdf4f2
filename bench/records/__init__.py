"""The record of a measured cell: what all that publish stand on."""

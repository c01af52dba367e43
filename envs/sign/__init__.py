"""The family sign: 3D navigation from pixels."""

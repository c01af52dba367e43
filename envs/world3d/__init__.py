"""Worlds in 3D as data, and a renderer for many frames at once that needs neither OpenGL nor a display.

A world is rooms and openings (`floorplan`) and things that stand in it (`models`), with the textures and meshes of the
miniworld package (`assets`). `scene` compiles it to arrays, `renderer` draws it, `motion` moves agents in it.
"""

"""`dream report`: one HTML file with scores, learning curves, and trials to step through.

disk.py finds runs and names what is missing; moments.py turns recorded trials into data for the player, and tiles.py
encodes their pictures; scores.py and maps.py write the sections below the player; page.py assembles the file; build.py
runs all of it. Style and player are static/report.css and static/player.js.
"""

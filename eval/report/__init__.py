"""`dream report`: one HTML file that shows what was trained, how well it does, and trials to step through.

disk.py finds runs and says what is missing; moments.py turns recorded trials into data for the player, tiles.py their
pictures; scores.py and maps.py write the sections below it; page.py puts the file together; build.py does all of it.
The look and the player are static/report.css and static/player.js.
"""

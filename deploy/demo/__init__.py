"""The main job shown on real servers: a made-up municipality, one HR day, and what the directory says afterwards."""

"""Programs that are copied into exported folders, where they run without nastk.

predict.py  reads pictures as the network's images were read, and says what it sees in them
load_*.py   `load` for each format: the exported network as a function of images
"""

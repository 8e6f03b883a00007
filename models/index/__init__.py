"""An index of the net's items: it finds the best of a large catalogue without reading all of it.

It is an inverted file: every item is in the list of one centroid, and a query reads the lists whose
centroids promise most. Start with `index.py`. `lists.py` is the data and the kernels that change
it, `assign.py` chooses lists, `split.py` divides a full one, and `search.py` finds the best items.
"""

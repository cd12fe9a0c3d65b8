"""Drawing: operations as values, and the canvas that paints them. Usable without all the rest."""

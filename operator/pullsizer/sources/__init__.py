"""How big is the model at this URI?

`measure.Measurer` is the way in. All that it asks goes through one door (`egress`), which lets nobody reach what is not
public by naming it in a model's URI.
"""

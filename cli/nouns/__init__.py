"""What commands speak of, noun by noun, whichever platform they ask.

Each module has a protocol of what can be asked, and two that answer: ``Stored…`` by this
machine's database, ``Asked…`` by a facade elsewhere. Both give the same documents.
"""

"""Where a model should run: from rate, run time, memory, GPU and latency to a place, its settings and its cost.

    platforms.json   what each platform can do, dated, with sources; and what the reference document has wrong
    platforms.py     reads it
    needs.py         what is asked of a model, and the checks of what was given
    costs.py         dollars a month of each place, by scripts/cost
    rules.py         the questions and the places: the graph of docs/choosing.md and the way of an answer
    entries.py       the settings of a place, as HCL
    thresholds.py    which values would change the answer
    answers.py       the answer, line by line
    document.py      the reference document's figures beside ours
    tables.py        writes graph and tables into docs/choosing.md

Command line: python -m scripts.choose.
"""

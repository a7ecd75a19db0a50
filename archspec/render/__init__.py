"""Everything that people look at: a module for each result, with `text`, `markdown`, `csv`.

`table` is the model of all tables, `figures` the style of all plots; `gallery` draws the results of
`archspec.explain`, and `errors` a spec's mistakes.
"""

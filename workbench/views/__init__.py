"""Results as cards, tables, figures and widgets; nothing here computes anything.

Begin with `verdicts.verdicts`, which makes cards of evaluations, and `tables`, which makes a table of
each DataFrame that a `Study` returns. Every table and figure has a text for readers without images.

- Hypotheses: `verdicts`, `tables`, `figures`.
- Releases: `release_tables`, `release_figures`; all of them: `programme`.
- Indicators: `indicator_tables`, `indicator_figures`, and `widgets` for a workshop.
- What to do next: `innovation`.

>>> from workbench import Study
>>> from workbench.views import tables
>>> study = Study.load("studies/guided-import/study.yaml")
>>> print(tables.quality(study.quality("2026.1")).caption)
Checks of the data
"""

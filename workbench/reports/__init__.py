"""Reports: from a notebook template and a study to published files.

Begin with `publish.publish`, which runs a template on a study and puts page, notebook and result in
place; `workbench report` on the command line does the same.

- Publishing: `publish`, `html` (pages and the index), `kernel` (running notebooks), `template`
  (a template's parameters).
- In a template, `begin` and `finish` of one kind of report: `hypothesis_report`, `iteration_plan`, `release_review`,
  `indicator_review`, `programme_review`; what they share: `report`.

>>> from workbench.reports.template import find_template
>>> find_template("hypothesis_report").takes("iteration")
True
"""

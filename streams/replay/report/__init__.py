"""The report of a replay: one HTML file that a risk manager reads and an auditor checks, without a network.

data.py       what a report is made of, and how it is taken from a finished run
command.py    the command that makes the run again
timeline.py   a company's hours put together so that a chart has so many points and no more
lives.py      the transitions of an alert as one story, and which of them are the strongest
charts.py     what the charts draw, as JSON that is safe inside a script element
figures.py    the key figures, and what to know before one trusts them
alert_view.py an alert's evidence in words, for the template
page.py       the file: template, style, script and plotly put together under a content security policy
"""

from streams.replay.report.data import Facts, Figures, ReportData, ReportOptions, report_data
from streams.replay.report.page import write_report

__all__ = ["Facts", "Figures", "ReportData", "ReportOptions", "report_data", "write_report"]

"""From counts to a verdict on record: analysis, checks, verdict, ledger, planning."""

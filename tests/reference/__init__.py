"""The 15 features once more: plain float64 numpy, written from ``firmware/FEATURES.md``.

It shares no code with the firmware and none with ``noctis``: where both agree, the page says
what the firmware does.
"""

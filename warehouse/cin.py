"""The form of an Indian company's identification number (CIN)."""

from __future__ import annotations

# L (listed) or U, five digits of industry, two letters of state, the year of incorporation, three
# letters of the class of company, six digits of registration.
PATTERN = "[LU][0-9]{5}[A-Z]{2}(18|19|20)[0-9]{2}[A-Z]{3}[0-9]{6}"

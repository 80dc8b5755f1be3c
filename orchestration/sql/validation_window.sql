select window_seconds from rules.looks_back

select
    min(event_seq) as first_seq,
    max(event_seq) as last_seq,
from load_ties;

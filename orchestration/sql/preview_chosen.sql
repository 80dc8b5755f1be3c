select outbox_seq
from push_chosen
order by outbox_seq

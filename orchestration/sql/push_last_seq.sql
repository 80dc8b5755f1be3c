select coalesce(max(delivery_seq), 0) as delivery_seq
from triggers.campaign_deliveries

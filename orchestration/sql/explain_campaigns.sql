select
    campaign,
    destination,
    is_enabled,
from config.campaigns
order by campaign

-- Where something waits, and how much. Parameters: $destination, $campaign (null: all).
select
    destination,
    count(*) as waiting,
from triggers.campaign_backlog
where
    ($destination is null or destination = $destination)
    and ($campaign is null or campaign = $campaign)
group by destination
order by destination

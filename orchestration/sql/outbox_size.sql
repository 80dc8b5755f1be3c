select count(*) as firings from triggers.campaign_outbox

-- What was known of a user's addresses at an attempt, so that a row that waits for one is due when that changes.
alter table triggers.campaign_deliveries add column if not exists address_hash varchar;

-- Wire events as the text of a JSON Lines file, newlines included, in the order of `wire_events`.
select
    '{"type":"' || type || '","messageId":"' || "messageId" || '"'
    || coalesce(',"userId":"' || "userId" || '"', '')
    || coalesce(',"anonymousId":"' || "anonymousId" || '"', '')
    || coalesce(',"event":"' || event || '"', '')
    || coalesce(',"properties":' || properties, '')
    || coalesce(',"traits":' || traits, '')
    || ',"context":' || context
    || ',"timestamp":"' || timestamp
    || '","originalTimestamp":"' || "originalTimestamp"
    || '","sentAt":"' || "sentAt"
    || '","receivedAt":"' || "receivedAt" || '"}' || chr(10) as line,
from wire_events

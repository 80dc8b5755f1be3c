copy (select session, events from parts where part = {part}) to {file} (format json);

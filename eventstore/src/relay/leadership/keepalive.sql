set tcp_keepalives_idle = 2;
set tcp_keepalives_interval = 1;
set tcp_keepalives_count = 2;
set application_name = 'medhub relay';

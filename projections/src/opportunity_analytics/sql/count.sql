select count() from chosen

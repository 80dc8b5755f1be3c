delete from load_records where file_index = $file_index;

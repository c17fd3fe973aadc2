#!/bin/sh
# A database and a role of its own for each tool. PostgreSQL's image runs it on an empty volume; run again, it changes
# nothing but the passwords, to what the secrets now say.
set -eu
secrets="${SECRETS:-/run/secrets}"
for pair in mlflow:mlflow_db_password prefect:prefect_db_password studies:studies_password store:store_password; do
    name="${pair%%:*}"
    # Secrets and names are letters and digits, so there is nothing to quote.
    psql --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
SELECT 'CREATE ROLE $name LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$name') \gexec
ALTER ROLE $name PASSWORD '$(cat "$secrets/${pair#*:}")';
SELECT 'CREATE DATABASE $name OWNER $name' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$name') \gexec
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done

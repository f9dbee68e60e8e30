/** Upgrades a home to one schema more by a migration that takes for ever, to be killed inside it. Argument: home. */
import { prepareHome } from '../../src/store/home.ts';
import { migrate, readMigrations } from '../../src/store/sqlite/migrate.ts';

const { database, migrationLock } = prepareHome(process.argv[2] ?? '');
const endless =
  'with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000000000) insert into later select max(i) from n';
await migrate(database, migrationLock, [
  ...readMigrations(),
  { name: '9999_later.sql', statements: ['create table later (n integer)', "update runs set name = name || ' half migrated'", endless] },
]);

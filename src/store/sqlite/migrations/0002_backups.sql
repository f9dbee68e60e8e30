CREATE TABLE `backup_keys` (
	`key_id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`secret` text NOT NULL,
	`confirmed_at` integer,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `backup_keys_version` ON `backup_keys` (`version`);--> statement-breakpoint
CREATE TABLE `backup_recipients` (
	`fingerprint` text PRIMARY KEY NOT NULL,
	`user` text NOT NULL,
	`armored` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `backup_schedules` (
	`name` text PRIMARY KEY NOT NULL,
	`record` text NOT NULL,
	`due_at` integer NOT NULL,
	`last` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `backup_stores` (
	`name` text PRIMARY KEY NOT NULL,
	`record` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `backups` (
	`id` text PRIMARY KEY NOT NULL,
	`target` text NOT NULL,
	`store` text NOT NULL,
	`kind` text NOT NULL,
	`key_id` text NOT NULL,
	`bytes` integer NOT NULL,
	`manifest_sha256` text NOT NULL,
	`manifest` text NOT NULL,
	`run_id` text,
	`made_at` integer NOT NULL,
	`verified_at` integer
);
--> statement-breakpoint
CREATE INDEX `backups_target` ON `backups` (`target`,`made_at`);
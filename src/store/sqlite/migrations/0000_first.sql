CREATE TABLE `approvals` (
	`id` text PRIMARY KEY NOT NULL,
	`run_id` text NOT NULL,
	`kind` text NOT NULL,
	`version` integer NOT NULL,
	`event` text NOT NULL,
	`payload` text,
	`payload_hash` text NOT NULL,
	`definition_hash` text NOT NULL,
	`plan_hash` text NOT NULL,
	`statement` text NOT NULL,
	`requested_by` text NOT NULL,
	`request_key` text,
	`status` text NOT NULL,
	`level` text,
	`granted_by` text,
	`signature` text,
	`expires_at` integer NOT NULL,
	`created_at` integer NOT NULL,
	`consumed_seq` integer,
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `approvals_run` ON `approvals` (`run_id`,`created_at`);--> statement-breakpoint
CREATE TABLE `artifacts` (
	`id` text PRIMARY KEY NOT NULL,
	`role` text NOT NULL,
	`media` text NOT NULL,
	`key_id` text NOT NULL,
	`bytes` integer NOT NULL,
	`status` text NOT NULL,
	`run_id` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `attempts` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`key` text NOT NULL,
	`n` integer NOT NULL,
	`step` text NOT NULL,
	`result` text NOT NULL,
	`at` integer NOT NULL,
	FOREIGN KEY (`key`) REFERENCES `effects`(`key`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `attempts_key` ON `attempts` (`key`);--> statement-breakpoint
CREATE TABLE `audit` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at` integer NOT NULL,
	`principal` text NOT NULL,
	`door` text NOT NULL,
	`level` text,
	`action` text NOT NULL,
	`run_id` text,
	`outcome` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `audit_at` ON `audit` (`at`);--> statement-breakpoint
CREATE TABLE `checkpoints` (
	`run_id` text NOT NULL,
	`seq` integer NOT NULL,
	`name` text NOT NULL,
	`state` text NOT NULL,
	`definition_hash` text NOT NULL,
	`snapshot` text NOT NULL,
	`timers` text NOT NULL,
	`at` integer NOT NULL,
	`voided` integer DEFAULT false NOT NULL,
	PRIMARY KEY(`run_id`, `seq`),
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `definitions` (
	`workflow` text NOT NULL,
	`hash` text NOT NULL,
	`revision` integer NOT NULL,
	`config` text NOT NULL,
	`registered_at` integer NOT NULL,
	PRIMARY KEY(`workflow`, `hash`)
);
--> statement-breakpoint
CREATE TABLE `dokploys` (
	`name` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`key_secret` text NOT NULL,
	`options` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `effects` (
	`key` text PRIMARY KEY NOT NULL,
	`run_id` text NOT NULL,
	`kind` text NOT NULL,
	`undo_of` text,
	`entry_seq` integer NOT NULL,
	`invoke_id` text NOT NULL,
	`contract` text NOT NULL,
	`input` text,
	`output` text,
	`error` text,
	`status` text NOT NULL,
	`outside` text NOT NULL,
	`failing` text,
	`attention` text,
	`before` blob,
	`attempt` integer DEFAULT 0 NOT NULL,
	`probes` integer DEFAULT 0 NOT NULL,
	`worker` text,
	`token` text,
	`last_sign_at` integer,
	`not_before` integer DEFAULT 0 NOT NULL,
	`progress` text,
	`locks` text,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`settled_at` integer,
	`settled_seq` integer,
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `effects_run` ON `effects` (`run_id`,`entry_seq`);--> statement-breakpoint
CREATE INDEX `effects_due` ON `effects` (`not_before`) WHERE status in ('intent', 'cancelling') and worker is null and attention is null;--> statement-breakpoint
CREATE INDEX `effects_owned` ON `effects` (`worker`) WHERE worker is not null;--> statement-breakpoint
CREATE INDEX `effects_open` ON `effects` (`run_id`) WHERE status in ('intent', 'running', 'cancelling');--> statement-breakpoint
CREATE TABLE `events` (
	`run_id` text NOT NULL,
	`seq` integer NOT NULL,
	`type` text NOT NULL,
	`payload` text,
	`source` text NOT NULL,
	`principal` text,
	`effect_key` text,
	`delivered` integer NOT NULL,
	`state` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `seq`),
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `locks` (
	`name` text PRIMARY KEY NOT NULL,
	`run_id` text NOT NULL,
	`taken_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `meta` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `rates` (
	`name` text PRIMARY KEY NOT NULL,
	`tokens` real NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `requests` (
	`principal` text NOT NULL,
	`key` text NOT NULL,
	`payload_hash` text NOT NULL,
	`run_id` text NOT NULL,
	`seq` integer NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`principal`, `key`),
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `runs` (
	`id` text PRIMARY KEY NOT NULL,
	`workflow` text NOT NULL,
	`definition_hash` text NOT NULL,
	`name` text NOT NULL,
	`phase` text NOT NULL,
	`version` integer NOT NULL,
	`state` text NOT NULL,
	`snapshot` text NOT NULL,
	`output` text,
	`error` text,
	`held` integer DEFAULT false NOT NULL,
	`attention` text,
	`rollback` text,
	`principal` text NOT NULL,
	`trace_id` text NOT NULL,
	`parent_id` text,
	`parent_key` text,
	`settled_count` integer DEFAULT 0 NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `runs_phase` ON `runs` (`phase`,`updated_at`);--> statement-breakpoint
CREATE INDEX `runs_name` ON `runs` (`name`);--> statement-breakpoint
CREATE INDEX `runs_parent` ON `runs` (`parent_id`);--> statement-breakpoint
CREATE TABLE `secrets` (
	`id` text PRIMARY KEY NOT NULL,
	`scope` text NOT NULL,
	`name` text NOT NULL,
	`key_id` text NOT NULL,
	`nonce` blob NOT NULL,
	`ciphertext` blob NOT NULL,
	`run_id` text,
	`made_seq` integer,
	`created_at` integer NOT NULL,
	`retired_at` integer
);
--> statement-breakpoint
CREATE INDEX `secrets_scope` ON `secrets` (`scope`,`name`);--> statement-breakpoint
CREATE INDEX `secrets_run` ON `secrets` (`run_id`,`made_seq`);--> statement-breakpoint
CREATE TABLE `targets` (
	`name` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`tags` text NOT NULL,
	`record` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `timers` (
	`run_id` text NOT NULL,
	`timer_id` text NOT NULL,
	`due_at` integer NOT NULL,
	`armed_seq` integer NOT NULL,
	`event` text NOT NULL,
	PRIMARY KEY(`run_id`, `timer_id`),
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `timers_due` ON `timers` (`due_at`);
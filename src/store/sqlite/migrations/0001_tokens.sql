CREATE TABLE `run_shares` (
	`run_id` text NOT NULL,
	`principal` text NOT NULL,
	PRIMARY KEY(`run_id`, `principal`),
	FOREIGN KEY (`run_id`) REFERENCES `runs`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`role` text NOT NULL,
	`targets` text,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer
);

// SPDX-License-Identifier: Apache-2.0
// The tool's commands. Each takes the words behind its name and returns the exit code: 0, or 1 with a reason on stderr.
#pragma once

#include <span>

using Words = std::span<char* const>;

int enable(Words words);
int disable(Words words);
int console(Words words);
int cell_create(Words words);
int cell_load(Words words);
int cell_start(Words words);
int cell_shutdown(Words words);
int cell_destroy(Words words);
int cell_list(Words words);
int cell_stats(Words words);

// The usage text on stderr (after a complaint) or stdout (asked for). Returns the exit code that fits.
int usage(const char* complaint);

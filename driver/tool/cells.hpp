// SPDX-License-Identifier: Apache-2.0
// The cells as sysfs shows them.
#pragma once

#include <string>
#include <vector>

// Ids of all cells, ascending. False with the reason on stderr when there is no module.
bool read_cell_ids(std::vector<unsigned long>& ids);

// One file of a cell's directory; empty when the cell has just gone.
std::string read_cell_file(unsigned long id, const std::string& file);

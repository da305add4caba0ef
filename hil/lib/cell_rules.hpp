// SPDX-License-Identifier: Apache-2.0
// The inside of the checks: what each group of rules gets, and how it reports.
#pragma once

#include "hil/lib/cell_check.hpp"

namespace hil {

/// One config of the input, with what the rules ask of it.
class CheckedCell {
  public:
    explicit CheckedCell(const CellFile& file) : file_(&file) {}

    [[nodiscard]] const CellConfig& config() const { return file_->named.config; }
    [[nodiscard]] const std::vector<jh_memory>& memory() const { return config().memory; }
    [[nodiscard]] bool is_root() const { return config().is_system(); }
    /// For people: what is no printable ASCII is written as \xNN.
    [[nodiscard]] std::string name() const;
    [[nodiscard]] std::string file() const { return file_->path.string(); }
    [[nodiscard]] bool is_arm() const { return config().architecture() != JH_ARCH_X86; }
    /// `memory region "ram"`
    [[nodiscard]] std::string region_text(size_t index) const;
    [[nodiscard]] std::string region_name(size_t index) const;
    /// `pci device "link0"`
    [[nodiscard]] std::string device_text(size_t index) const;
    /// Interrupt ids that the irqchips give to the cell, ascending.
    [[nodiscard]] std::vector<uint32_t> interrupts() const;
    /// Parts of virtual addresses that no region with all of `flags` maps.
    [[nodiscard]] std::vector<AddressRange> unmapped(const AddressRange& range, uint64_t flags) const;
    /// The region that maps a virtual address, or nothing.
    [[nodiscard]] std::optional<size_t> region_at(uint64_t address) const;

  private:
    const CellFile* file_;
};

/// Everything the rules read, and where their findings go.
class CellCheck {
  public:
    explicit CellCheck(const CheckInput& input);

    [[nodiscard]] const CheckedCell& root() const { return root_; }
    [[nodiscard]] const std::vector<CheckedCell>& cells() const { return cells_; }
    /// Root first, then the cells.
    [[nodiscard]] std::vector<const CheckedCell*> all() const;
    [[nodiscard]] const jh_system& system() const { return *root_.config().system; }
    [[nodiscard]] const Board& board() const { return *board_; }
    [[nodiscard]] const std::optional<CellImage>& image() const { return *image_; }

    void add(FindingSeverity severity, std::string rule, const CheckedCell& cell, std::string region,
             std::string message, std::string console, std::string fix);
    /// The same with a predicted trap; the console text follows from it.
    void add_trap(FindingSeverity severity, std::string rule, const CheckedCell& cell, std::string region,
                  std::string message, PredictedTrap trap, std::string fix);

    std::vector<Finding> take() { return std::move(findings_); }

  private:
    CheckedCell root_;
    std::vector<CheckedCell> cells_;
    const Board* board_;
    const std::optional<CellImage>* image_;
    std::vector<Finding> findings_;
};

/// Parts of physical addresses that the root cell does not map with all of `flags`.
[[nodiscard]] std::vector<AddressRange> not_of_root(const CellCheck& check, const AddressRange& range, uint64_t flags);

/// The range that one section of an ivshmem device has in its cell: memory region `index`.
struct ShmemSection {
    size_t index = 0;
    jh_memory memory{};
};
/// State table, read/write section, output sections; nothing if the indices leave the region list.
[[nodiscard]] std::optional<std::vector<ShmemSection>> shmem_sections(const CheckedCell& cell,
                                                                      const jh_pci_device& device);

void check_identity(CellCheck& check);  ///< names, kinds, architectures
void check_regions(CellCheck& check);   ///< each region by itself and within its cell
void check_ownership(CellCheck& check); ///< memory between cells and the root
void check_loading(CellCheck& check);   ///< RAM, reset address, image
void check_console(CellCheck& check);   ///< console, its clock register, communication region
void check_devices(CellCheck& check);   ///< devices that the root uses, registers that the hypervisor emulates
void check_shmem(CellCheck& check);     ///< ivshmem devices and links
void check_pci(CellCheck& check);       ///< addresses of devices, virtual ECAM window, capabilities
void check_cpus(CellCheck& check);
void check_interrupts(CellCheck& check);
void check_platform(CellCheck& check); ///< GIC, IOMMU, hypervisor memory, debug console

} // namespace hil

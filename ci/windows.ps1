# SPDX-License-Identifier: MIT OR Apache-2.0
<#
.SYNOPSIS
Builds both sample drivers on Windows, and runs them on a test machine. Not yet run on Windows.

.DESCRIPTION
Build    in a developer prompt of Visual Studio 2022 with a WDK, LLVM, Rust and Git: builds bottomhalf-c,
         examples/kmdf-c and examples/kmdf-rust, stamps and verifies the INFs, signs for tests, and leaves a
         folder for each driver, the certificate and the lists of imports in -Out. Needs no rights.
Prepare  elevated, on the test machine, which may be another one with a copy of -Out: trusts the certificate,
         turns test signing and Driver Verifier's standard checks for both drivers on, and lets DbgPrint
         through. Restart the machine after it.
Run      elevated: installs, starts and stops each driver, and collects what was seen in results.zip of -Out.
Remove   elevated: takes everything back that Prepare and Run have changed. Restart the machine after it.

A machine that is prepared loads drivers that anybody signed: take one that can be lost. Secure Boot has to be
off. docs/windows-first-run.md says what the output answers.

.PARAMETER Phase
What to do: Build, Prepare, Run or Remove.

.PARAMETER Out
The folder between the phases; target\windows of the repository if it is not named.

.PARAMETER DebugView
The path of Sysinternals' Dbgview64.exe. Run then keeps what the drivers print; without it a kernel debugger
has to.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File ci\windows.ps1 -Phase Build
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)]
    [ValidateSet('Build', 'Prepare', 'Run', 'Remove')]
    [string]$Phase,
    [string]$Out,
    [string]$DebugView
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
if (-not $Out) {
    $Out = Join-Path $root 'target\windows'
}
$drivers = @('kmdf_c', 'kmdf_rust')
$subject = 'CN=bottomhalf test signing'
$certificateFile = Join-Path $Out 'bottomhalf-test.cer'
$results = Join-Path $Out 'results'
$printFilter = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Debug Print Filter'
$minor = 33

# Runs a program, shows and returns its output, and leaves its status in $script:status.
function Invoke-Program {
    param([string]$File, [string[]]$Arguments)
    Write-Host "> $File $($Arguments -join ' ')"
    # Windows PowerShell takes a line on standard error for an error otherwise.
    $ErrorActionPreference = 'Continue'
    $output = & $File @Arguments 2>&1 | ForEach-Object { "$_" }
    $script:status = $LASTEXITCODE
    $output | ForEach-Object { Write-Host $_ }
    return $output
}

# As Invoke-Program, and ends the script if the program fails.
function Invoke-Checked {
    param([string]$File, [string[]]$Arguments)
    $output = Invoke-Program -File $File -Arguments $Arguments
    if ($script:status -ne 0) {
        throw "$File ended with $script:status"
    }
    return $output
}

# The newest of a program of the Windows kits, of 64 bits if there is one.
function Find-KitTool {
    param([string]$Name)
    $onPath = Get-Command $Name -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    if ($onPath) {
        return $onPath.Source
    }
    foreach ($platform in @('x64', 'x86')) {
        foreach ($folder in @('bin', 'Tools')) {
            $kits = Join-Path ${env:ProgramFiles(x86)} "Windows Kits\10\$folder"
            $found = Get-ChildItem -Path (Join-Path $kits "*\$platform\$Name") -ErrorAction SilentlyContinue |
                Sort-Object -Property { [version]$_.Directory.Parent.Name } | Select-Object -Last 1
            if ($found) {
                return $found.FullName
            }
        }
    }
    throw "$Name is not on the PATH and not in the Windows kits: install the WDK"
}

# Git's bash: the one of the system folder is that of a Linux.
function Find-Bash {
    $git = Get-Command 'git.exe' -CommandType Application | Select-Object -First 1
    $bash = Join-Path (Split-Path -Parent (Split-Path -Parent $git.Source)) 'bin\bash.exe'
    if (-not (Test-Path $bash)) {
        throw "there is no $bash: install Git for Windows"
    }
    return $bash
}

function Assert-Elevated {
    $identity = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw "phase $Phase needs an elevated prompt"
    }
}

# The certificate that signs, which is made if it is not there.
function Get-SigningCertificate {
    $found = Get-ChildItem 'Cert:\CurrentUser\My' | Where-Object { $_.Subject -eq $subject -and $_.HasPrivateKey } |
        Sort-Object -Property NotAfter | Select-Object -Last 1
    if ($found -and $found.NotAfter -gt (Get-Date)) {
        return $found
    }
    return New-SelfSignedCertificate -Type CodeSigningCert -Subject $subject -CertStoreLocation 'Cert:\CurrentUser\My'
}

# The folder of one driver: its image, its INF and its catalog, verified and signed.
function New-Package {
    param([string]$Name, [string]$Image, [string]$Inx, [string]$Thumbprint)
    $package = Join-Path $Out $Name
    if (Test-Path $package) {
        Remove-Item -Recurse -Force $package
    }
    New-Item -ItemType Directory -Path $package | Out-Null
    $sys = Join-Path $package "$Name.sys"
    $inf = Join-Path $package "$Name.inf"
    Copy-Item $Image $sys
    Copy-Item $Inx $inf
    $signtool = Find-KitTool 'signtool.exe'
    $sign = @('sign', '/v', '/fd', 'sha256', '/s', 'My', '/sha1', $Thumbprint)
    Invoke-Checked (Find-KitTool 'stampinf.exe') @('-f', $inf, '-a', 'amd64', '-k', "1.$minor", '-d', '*', '-v',
        '0.1.0.0', '-c', "$Name.cat") | Out-Null
    Invoke-Checked (Find-KitTool 'infverif.exe') @('/v', '/w', $inf) | Out-Null
    Invoke-Checked $signtool ($sign + $sys) | Out-Null
    Invoke-Checked (Find-KitTool 'inf2cat.exe') @("/driver:$package", '/os:10_X64', '/verbose') | Out-Null
    Invoke-Checked $signtool ($sign + (Join-Path $package "$Name.cat")) | Out-Null
    Invoke-Checked 'dumpbin.exe' @('/nologo', '/headers', '/imports', $sys) |
        Set-Content (Join-Path $Out "$Name.imports.txt")
}

function Invoke-Build {
    New-Item -ItemType Directory -Force -Path $Out | Out-Null
    $install = Join-Path $Out 'bottomhalf-c'
    Push-Location $root
    try {
        Invoke-Checked (Find-Bash) @('capi/install.sh', '--prefix', ($install -replace '\\', '/'), '--target', 'windows',
            '--kmdf-minor', "$minor") | Out-Null
        $cOut = Join-Path $Out 'build-c'
        # A backslash at the end would take the quote behind it with it, if the path has a space.
        Invoke-Checked 'msbuild.exe' @('examples\kmdf-c\kmdf-c.vcxproj', '/nologo', '/p:Configuration=Release',
            '/p:Platform=x64', '/p:SignMode=Off', '/p:EnableInf2cat=false', "/p:BottomhalfInstall=$install/",
            "/p:OutDir=$cOut/") | Out-Null
    }
    finally {
        Pop-Location
    }
    # The folder's .cargo\config.toml counts where cargo is started.
    Push-Location (Join-Path $root 'examples\kmdf-rust')
    $rustOut = Join-Path $Out 'build-rust'
    try {
        Invoke-Checked 'cargo.exe' @('build', '--release', '--target', 'x86_64-pc-windows-msvc', '--target-dir',
            $rustOut) | Out-Null
    }
    finally {
        Pop-Location
    }
    $certificate = Get-SigningCertificate
    Export-Certificate -Cert $certificate -FilePath $certificateFile | Out-Null
    New-Package -Name 'kmdf_c' -Image (Join-Path $cOut 'kmdf_c.sys') -Thumbprint $certificate.Thumbprint `
        -Inx (Join-Path $root 'examples\kmdf-c\kmdf_c.inx')
    New-Package -Name 'kmdf_rust' -Image (Join-Path $rustOut 'x86_64-pc-windows-msvc\release\kmdf_rust.dll') `
        -Inx (Join-Path $root 'examples\kmdf-rust\kmdf_rust.inx') -Thumbprint $certificate.Thumbprint
    Get-ChildItem -Recurse -Path $cOut, $rustOut -Include 'kmdf_c.pdb', 'kmdf_rust.pdb' |
        Where-Object { $_.FullName -notmatch '\\deps\\' } | Copy-Item -Destination $Out
    Write-Host "built, verified and signed: $Out"
}

function Invoke-Prepare {
    Assert-Elevated
    foreach ($store in @('Root', 'TrustedPublisher')) {
        Import-Certificate -FilePath $certificateFile -CertStoreLocation "Cert:\LocalMachine\$store" | Out-Null
    }
    Invoke-Checked 'bcdedit.exe' @('/set', 'testsigning', 'on') | Out-Null
    # Driver Verifier has a status of its own for "restart the machine".
    Invoke-Program 'verifier.exe' (@('/standard', '/driver') + ($drivers | ForEach-Object { "$_.sys" })) | Out-Null
    if (-not (Test-Path $printFilter)) {
        New-Item -Path $printFilter | Out-Null
    }
    # DbgPrint prints at the level INFO of the component DEFAULT, which is off.
    New-ItemProperty -Path $printFilter -Name 'DEFAULT' -PropertyType DWord -Value 8 -Force | Out-Null
    Write-Host 'prepared: restart the machine now'
}

# Whether the service control manager knows a driver; Get-Service is about programs.
function Test-Service {
    param([string]$Name)
    Invoke-Program 'sc.exe' @('query', $Name) | Out-Null
    return $script:status -eq 0
}

# Installs by the INF. If that makes no service, by the service control manager, and says so.
function Install-Driver {
    param([string]$Name)
    $package = Join-Path $Out $Name
    Invoke-Program 'pnputil.exe' @('/add-driver', (Join-Path $package "$Name.inf"), '/install') | Out-Null
    if (Test-Service -Name $Name) {
        return 'by its INF'
    }
    Invoke-Checked 'sc.exe' @('create', $Name, 'type=', 'kernel', 'start=', 'demand', 'binPath=',
        (Join-Path $package "$Name.sys")) | Out-Null
    return 'by sc create, because the INF made no service'
}

# One line of summary.txt for each driver. Whether the promises are kept is DriverEntry's status.
function Test-Driver {
    param([string]$Name)
    $how = Install-Driver -Name $Name
    Invoke-Program 'sc.exe' @('start', $Name) | Set-Content (Join-Path $results "$Name.start.txt")
    $started = $script:status
    Start-Sleep -Seconds 5
    Invoke-Program 'verifier.exe' @('/query') | Set-Content (Join-Path $results "$Name.verifier.txt")
    $stopped = 'not started'
    if ($started -eq 0) {
        Invoke-Program 'sc.exe' @('stop', $Name) | Set-Content (Join-Path $results "$Name.stop.txt")
        $stopped = $script:status
    }
    "${Name}: installed $how; sc start $started; sc stop $stopped"
}

function Invoke-Run {
    Assert-Elevated
    if (Test-Path $results) {
        Remove-Item -Recurse -Force $results
    }
    New-Item -ItemType Directory -Path $results | Out-Null
    $began = Get-Date
    $settings = Invoke-Program 'verifier.exe' @('/querysettings')
    $settings | Set-Content (Join-Path $results 'verifier-settings.txt')
    if (-not ($settings -match 'kmdf_c\.sys')) {
        throw 'Driver Verifier does not watch the drivers: run the phase Prepare, and restart the machine'
    }
    Get-ComputerInfo -Property 'WindowsProductName', 'WindowsVersion', 'OsBuildNumber', 'OsHardwareAbstractionLayer',
        'CsNumberOfLogicalProcessors', 'CsModel', 'HyperVisorPresent' | Out-String |
        Set-Content (Join-Path $results 'machine.txt')
    $viewer = $null
    if ($DebugView) {
        $printed = Join-Path $results 'printed.txt'
        $viewer = Start-Process -PassThru -FilePath $DebugView `
            -ArgumentList '/accepteula', '/t', '/k', '/l', "`"$printed`""
        Start-Sleep -Seconds 3
    }
    try {
        $summary = foreach ($name in $drivers) {
            Test-Driver -Name $name
        }
    }
    finally {
        if ($viewer) {
            Start-Sleep -Seconds 3
            Stop-Process -Id $viewer.Id
        }
    }
    $summary | Set-Content (Join-Path $results 'summary.txt')
    Save-Evidence -Since $began
    $summary | ForEach-Object { Write-Host $_ }
    if (@($summary) -notmatch 'sc start 0; sc stop 0$') {
        throw "not good: see $results"
    }
    Write-Host "good: $(Join-Path $Out 'results.zip')"
}

# The event log, dumps of this run, the installer's log, and the images themselves, in one file.
function Save-Evidence {
    param([datetime]$Since)
    Get-WinEvent -FilterHashtable @{ LogName = 'System'; StartTime = $Since } -ErrorAction SilentlyContinue |
        Format-List -Property @('TimeCreated', 'ProviderName', 'Id', 'LevelDisplayName', 'Message') | Out-String -Width 200 |
        Set-Content (Join-Path $results 'system-events.txt')
    Get-ChildItem (Join-Path $env:SystemRoot 'Minidump\*.dmp') -ErrorAction SilentlyContinue |
        Copy-Item -Destination $results
    Copy-Item (Join-Path $env:SystemRoot 'INF\setupapi.dev.log') $results -ErrorAction SilentlyContinue
    foreach ($name in $drivers) {
        Copy-Item (Join-Path $Out "$name.imports.txt") $results -ErrorAction SilentlyContinue
        Get-FileHash (Join-Path $Out "$name\$name.sys") | Format-List | Out-String |
            Add-Content (Join-Path $results 'machine.txt')
    }
    Compress-Archive -Force -Path (Join-Path $results '*') -DestinationPath (Join-Path $Out 'results.zip')
}

function Invoke-Remove {
    Assert-Elevated
    foreach ($name in $drivers) {
        Invoke-Program 'sc.exe' @('stop', $name) | Out-Null
        Get-WindowsDriver -Online | Where-Object { $_.OriginalFileName -like "*\$name.inf" } | ForEach-Object {
            Invoke-Program 'pnputil.exe' @('/delete-driver', $_.Driver, '/uninstall', '/force') | Out-Null
        }
        if (Test-Service -Name $name) {
            Invoke-Program 'sc.exe' @('delete', $name) | Out-Null
        }
    }
    Invoke-Program 'verifier.exe' @('/reset') | Out-Null
    Invoke-Program 'bcdedit.exe' @('/set', 'testsigning', 'off') | Out-Null
    Remove-ItemProperty -Path $printFilter -Name 'DEFAULT' -ErrorAction SilentlyContinue
    foreach ($store in @('LocalMachine\Root', 'LocalMachine\TrustedPublisher', 'CurrentUser\My')) {
        Get-ChildItem "Cert:\$store" | Where-Object { $_.Subject -eq $subject } | Remove-Item
    }
    Write-Host 'removed: restart the machine now'
}

switch ($Phase) {
    'Build' { Invoke-Build }
    'Prepare' { Invoke-Prepare }
    'Run' { Invoke-Run }
    'Remove' { Invoke-Remove }
}
